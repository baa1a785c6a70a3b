"""How pictures are put together: pixels, letters, pages of tiles, rows of images."""
