"""The names that `nashgossip.topology` hands on."""

from .arrays import EdgeArrays as EdgeArrays
from .arrays import edge_arrays as edge_arrays
from .changing import GraphSequence as GraphSequence
from .changing import Piece as Piece
from .changing import SequenceError as SequenceError
from .changing import sequence as sequence
from .changing import time_average as time_average
from .checks import validate as validate
from .errors import AlphaError as AlphaError
from .errors import GeneratorError as GeneratorError
from .errors import GraphError as GraphError
from .errors import GraphFileError as GraphFileError
from .errors import IsolatedPlayerError as IsolatedPlayerError
from .errors import RowSumError as RowSumError
from .errors import SchemeError as SchemeError
from .errors import UnanchoredError as UnanchoredError
from .failures import failing_edges as failing_edges
from .files import is_graph_file as is_graph_file
from .files import read_graph as read_graph
from .files import write_graph as write_graph
from .generators import generate_graph as generate_graph
from .generators import generator_names as generator_names
from .linear import solve_listening as solve_listening
from .matrices import listening_matrix as listening_matrix
from .matrices import mixing_matrix as mixing_matrix
from .matrices import self_weights as self_weights
from .membership import membership as membership
from .names import UnknownNameError as UnknownNameError
from .names import require_name as require_name
from .readings import effective_sources as effective_sources
from .readings import homogenisation as homogenisation
from .remaining import RULES as RULES
from .rewiring import rewired as rewired
from .sequence_files import read_sequence as read_sequence
from .shares import blend as blend
from .shares import influence as influence
from .spectrum import spectral_radius as spectral_radius
from .weights import SCHEMES as SCHEMES
from .weights import attach_alpha as attach_alpha
from .weights import normalize as normalize

__all__ = [
    "RULES",
    "SCHEMES",
    "AlphaError",
    "EdgeArrays",
    "GeneratorError",
    "GraphError",
    "GraphFileError",
    "GraphSequence",
    "IsolatedPlayerError",
    "Piece",
    "RowSumError",
    "SchemeError",
    "SequenceError",
    "UnanchoredError",
    "UnknownNameError",
    "attach_alpha",
    "blend",
    "edge_arrays",
    "effective_sources",
    "failing_edges",
    "generate_graph",
    "generator_names",
    "homogenisation",
    "influence",
    "is_graph_file",
    "listening_matrix",
    "membership",
    "mixing_matrix",
    "normalize",
    "read_graph",
    "read_sequence",
    "require_name",
    "rewired",
    "self_weights",
    "sequence",
    "solve_listening",
    "spectral_radius",
    "time_average",
    "validate",
    "write_graph",
]
