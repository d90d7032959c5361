"""Questions to the store: text -> filter tree -> plan -> row masks -> entries.

`requests` says what may be asked, `parser` and `syntax` read the search text (all
three import without numpy, for the gateway); `filters`, `plan`, `search` and `stats`
answer over any reader of blocks, and `worker` is the process that does so.
"""
