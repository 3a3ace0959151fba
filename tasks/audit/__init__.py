"""Faults planted into copies of the user's model, corpus and predictions, to show that the gates notice each."""
