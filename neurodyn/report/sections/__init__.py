"""The sections of a page, one in each file: a function from the `Context` to markup."""
