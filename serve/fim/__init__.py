"""Fill in the middle: prompts, ends, and the shapes that editors send."""
