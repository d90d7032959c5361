"""Everything at once, for as long as wanted, and every entry accounted for."""
