"""One file, one writer, many readers.

``database`` opens and migrates the file, ``reader`` answers questions, ``writer`` shares one durable transaction among
all who wait (group commit), ``transaction`` is what happens inside it, ``store`` puts these together for the process
that owns the file, and ``remote`` lets another process read by itself and write through the owner.
"""
