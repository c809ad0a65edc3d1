"""Records of breast tumours: ten features of the cell nuclei, each a block of its own, and the diagnosis."""

__all__ = ["load_breast_cancer"]

import numpy as np

from .datasets import Dataset
from .space import Space, Variable

_FEATURES = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave_points",
    "symmetry",
    "fractal_dimension",
)


def load_breast_cancer(*, standardize: bool = True) -> Dataset:
    """The 569 breast tumours that scikit-learn carries, 212 of them malignant.

    An aspirate of the tumour is stained and photographed, the outline of every nucleus traced, and a feature computed
    of each nucleus. A hospital whose software knows a feature has its mean over the nuclei, the standard error of the
    mean, and its `worst` value, the mean of the three largest: so each feature is one variable, `[3]` in this order.

    Variables: `diagnosis`, categorical, 0 benign and 1 malignant; `radius`, `texture` (standard deviation of gray
    values), `perimeter`, `area`, `smoothness` (of the outline), `compactness` (perimeter² / area − 1), `concavity`,
    `concave_points`, `symmetry` and `fractal_dimension`, real, `[n, 3]`.

    Arguments:
        standardize: each value becomes its cube root, less the mean and divided by the standard deviation of the cube
            roots of all 569 records. The cube root makes positive skewed values nearly normal (Wilson & Hilferty, *The
            distribution of chi-square*, 1931) and leaves the zeros of `concavity` where they are. The constants come
            from the whole published collection: they are units that all players agree on, as millimetres are, and
            tell nothing of one player's rows. False leaves the published values.

    Sources: W. H. Wolberg, W. N. Street and O. L. Mangasarian, Breast Cancer Wisconsin (Diagnostic), UCI Machine
    Learning Repository, 1995; W. N. Street, W. H. Wolberg and O. L. Mangasarian, Nuclear feature extraction for breast
    tumor diagnosis, 1993.

    >>> tumours = load_breast_cancer()
    >>> len(tumours), tumours.label, int(tumours.batch["diagnosis"].sum()), tumours.batch["radius"].shape
    (569, 'diagnosis', 212, (569, 3))
    """
    from sklearn.datasets import load_breast_cancer as load_records

    records = load_records()
    values = records.data.astype(np.float64)
    if standardize:
        values = np.cbrt(values)
        values = (values - values.mean(axis=0)) / values.std(axis=0)
    blocks = values.reshape(len(values), 3, len(_FEATURES))  # the published order: all means, all errors, all worst
    low = None if standardize else 0.0
    space = Space(
        (
            Variable("diagnosis", "categorical", categories=2),
            *(Variable(name, "real", (3,), low=low) for name in _FEATURES),
        )
    )
    arrays = {name: blocks[:, :, k] for k, name in enumerate(_FEATURES)}
    malignant = 1 - records.target  # scikit-learn has 1 for benign
    return Dataset("breast-cancer", space.batch({"diagnosis": malignant} | arrays), "diagnosis")
