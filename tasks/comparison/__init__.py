"""Two artifacts, or two runs of one, side by side: what is compared, which entities flipped, and where it ran."""
