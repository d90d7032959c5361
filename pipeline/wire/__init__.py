"""Bytes on the sockets: `frame` has the header and the acknowledgement, `codec` turns
payloads and plain messages into batches; FORMAT.md is their page."""
