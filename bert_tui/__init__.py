"""What an operator touches: the wizard, the live view and the command line. Never imports torch."""

__version__ = "0.1.0"
