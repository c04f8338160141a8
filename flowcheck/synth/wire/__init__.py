"""One encoder per protocol, each independent of flowcheck's decoders."""
