"""Rule files and site profiles: read, checked, and turned into the typed objects of rule.py."""
