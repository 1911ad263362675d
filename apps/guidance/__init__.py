"""What a customer should do about an error, by kind of customer; shown at the moment of the error."""
