"""The analyzer beside tshark."""
