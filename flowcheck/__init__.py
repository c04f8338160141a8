"""flowcheck: packet captures of a device's bring-up, judged against the 3GPP procedures they should follow."""

__version__ = "0.1.0"
