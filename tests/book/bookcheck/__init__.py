"""What every page of the book is held to. Each rule is a function `check(page, ...) -> list[str]` of problems."""
