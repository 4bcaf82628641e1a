"""Getting an image onto this machine: pulled from a registry or loaded from a file, by a job that outlives the screen.

``pulling`` and ``loading`` ask the engine, ``progress`` understands what it answers, ``room`` knows the engine's disk;
``folder`` and ``job`` are the detached job and how it is found again, ``worker`` is its process.
"""
