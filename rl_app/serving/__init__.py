"""The parts of the command ``serve``: HTTP, content types, batches, the page, what is measured."""
