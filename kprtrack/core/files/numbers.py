"""The ranges of numbers that all readers of annotations and results accept."""

LARGEST = 1e9  # pixels, scores and seconds; a larger number is an error in the file
LAST_FRAME = 2**53 - 1  # frame numbers are below it: exact in every format, also counted from 1
MOST_PEOPLE = 2000  # in one frame of a file; comparing them with as many others takes 400 MB
LARGEST_ID = 2**53 - 2  # exact in every format, also with 1 added


def whole_number(value: object) -> int | None:
    """Return a whole number, also one stored as 1.0 (pandas writes columns with gaps so), or None.

    Args:
        value: A JSON value.

    Returns:
        The number; None for anything else, and for a float too large to be exact.

    Examples:
        >>> whole_number(7), whole_number(7.0), whole_number(7.5), whole_number(True), whole_number("7")
        (7, 7, None, None, None)
    """
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return None
