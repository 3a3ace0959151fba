"""Files, object stores and the Hub: every quirk of what keeps bytes, in one place each."""
