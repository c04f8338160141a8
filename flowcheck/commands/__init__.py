"""The commands, one module each: `HELP`, `arguments(parser)` and `run(options)`, which returns the exit status.

A module imports what its command needs inside `run`, so that naming all commands costs nothing.
"""

NAMES = ("check", "batch", "archive", "decode", "rules", "crosscheck", "keys", "devices", "explain", "diff", "report",
         "redact", "verify", "doctor")                                      # in the order of --help
WITH_ACTIONS = ("archive", "rules", "report")                               # whose first word says what to do
