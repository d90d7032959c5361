"""What the gateway knows of all processes: rates, durations, heartbeats, the canary."""
