"""What the kernel does to a process when memory runs out."""

import os
import signal

os.kill(os.getpid(), signal.SIGKILL)
