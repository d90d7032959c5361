"""What the ingester does when the disk that its database is on fills up."""
