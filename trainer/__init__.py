"""The tensor-parallel BERT trainer. Needs torch, numpy, tensorboard and the standard library, nothing else."""
