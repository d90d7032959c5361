"""The gateway's methods, one file each; `table` has them all."""
