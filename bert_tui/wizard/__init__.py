"""The wizard's questions and answers, without a screen."""
