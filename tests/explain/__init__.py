"""Stories: what happened in an incident, in words and as a ladder."""
