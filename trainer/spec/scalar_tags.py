"""TensorBoard's tags, spelled as Megatron-LM spells them, so that its boards and ours can be laid side by side.

The second block has no counterpart there. Megatron's twins "... vs samples" are left out: they are placed by samples
and not by steps, and a resume strikes out events by their place (``purge_step``), so it would strike out all of them.
"""

LM_LOSS = "lm loss"
SOP_LOSS = "sop loss"
LEARNING_RATE = "learning-rate"
GRAD_NORM = "grad-norm"
LOSS_SCALE = "loss-scale"
BATCH_SIZE = "batch-size"
STEP_SECONDS = "iteration-time"
TFLOPS_PER_RANK = "throughput"
MEMORY_RESERVED = "mem-reserved-bytes"
MEMORY_ALLOCATED = "mem-allocated-bytes"
MEMORY_PEAK = "mem-max-allocated-bytes"
LM_LOSS_VALIDATION = "lm loss validation"
LM_PERPLEXITY_VALIDATION = "lm loss validation ppl"
SOP_LOSS_VALIDATION = "sop loss validation"

TOKENS_PER_SECOND = "tokens-per-second"
SHARE_OF_PEAK = "share-of-peak"
DATA_WAIT_SHARE = "data-wait-share"
SKIPPED_STEPS = "skipped-iterations"
MASKED_ACCURACY_VALIDATION = "masked accuracy validation"
SOP_ACCURACY_VALIDATION = "sop accuracy validation"
PRESET_TEXT = "preset"
