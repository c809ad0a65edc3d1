"""What can go wrong with a data set: one exception a meaning, all of them `ValueError`."""

__all__ = ["DatasetCorrupt", "DatasetError", "DatasetNotFound", "DatasetOptionError"]


class DatasetError(ValueError):
    """Parent of what can go wrong with a data set; never raised itself.

    Not `UnknownNameError`, which is about a name of a data set, an option or an array that is not known, and not
    `BatchError`, which is about rows that do not fit a space.
    """


class DatasetOptionError(DatasetError):
    """A value that an option of a loader cannot take.

    Not `DatasetCorrupt`: the request is wrong, whatever the files hold.
    """


class DatasetNotFound(DatasetError):
    """The files of a data set are in none of the places looked in, cannot be opened, or cannot be downloaded.

    Not `DatasetCorrupt`: no file was read.
    """


class DatasetCorrupt(DatasetError):
    """A file was read, and does not hold what it should.

    Not `DatasetNotFound`: the file is there.
    """
