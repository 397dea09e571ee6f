"""What calls of other people's servers share: their settings, an end in time, when to try again."""
