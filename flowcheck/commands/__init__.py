"""The commands, one module each: `HELP`, `arguments(parser)` and `run(options)`, which returns the exit status.

A module imports what its command needs inside `run`, so that naming all commands costs nothing.
"""

NAMES = ("check", "decode", "rules", "crosscheck", "keys", "devices")        # in the order of --help
