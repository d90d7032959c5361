"""The gateway: JSON-RPC, live tail and health over HTTP; it stores nothing itself."""
