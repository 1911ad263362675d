"""What we promise to each kind of customer: versioned tenets and their measurable clauses."""
