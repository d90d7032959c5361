"""Files are followed without a file of marks: the ingester knows how far they are."""
