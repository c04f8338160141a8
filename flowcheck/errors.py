"""What a user can put right. Anything a peer does wrong on the wire is data, never one of these.

Each error prints as one line: what is wrong, where, and what to do about it.
"""


class FlowcheckError(Exception):
    """The common parent: the command line turns every one of these into a line and an exit status."""


class CaptureError(FlowcheckError):
    """A capture that cannot be read at all: missing, empty, a directory, or of no known format."""


class RuleError(FlowcheckError):
    """A rule file that is wrong; holds every mistake at once, one `path:line:column: text` a line."""


class SiteError(FlowcheckError):
    """A site profile that is wrong, reported the same way as a rule."""


class KeyFileError(FlowcheckError):
    """A key file of no known format, or one whose lines cannot be read. Never quotes a secret."""


class UsageError(FlowcheckError):
    """Options that do not go together, or name a procedure that no rule describes."""
