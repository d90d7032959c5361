"""Acknowledged delivery: the two state machines, without a socket or a clock.

`stream` is the ingester's side, `window` the sender's; PROTOCOL.md is their page.
"""
