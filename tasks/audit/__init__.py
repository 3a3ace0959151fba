"""The audit: plants faults in copies of the user's model, corpus and predictions, and checks that the gates detect
each."""
