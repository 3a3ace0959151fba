"""The commands of `nerbench`: what each takes, starts and prints."""
