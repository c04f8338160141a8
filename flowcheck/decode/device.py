"""What a device is seen to do without a message of its own, as messages a rule may name.

They are not on the wire as such: session/ adds them where a timeline shows them, with the frames that prove it.
"""

KINDS = {
    # The address inside the IPsec tunnel is another one than before. `old` and `new` are addresses of one family,
    # `spellings` the ways a data model may write the new one; `via` is "ike" (a configuration payload assigned it) or
    # "traffic" (the device sends from it); `acs` holds the ACSs it had informed from the old address.
    "device.address_change": ("old", "new", "spellings", "via", "acs"),
}
