"""Put the servers back to what they were, by the record that was kept before each change."""
