"""Model graph: the layers of a model as the GraphDef that TensorBoard's Graphs tab draws."""

from typing import Any

from populace.core.model.outline import Node, outline


def model_graph(model: Any) -> Any:
    """Return the GraphDef of a model: one node per layer.

    `op` is the class of a layer. Its attributes are its settings, the type and shape of each of its arrays,
    and how many numbers its weights are.
    """
    from tensorboardX.proto.graph_pb2 import GraphDef  # pyright: ignore[reportAttributeAccessIssue]
    from tensorboardX.proto.versions_pb2 import VersionDef  # pyright: ignore[reportAttributeAccessIssue]

    return GraphDef(node=[_node(node) for node in outline(model)], versions=VersionDef(producer=22))


def _node(node: Node) -> Any:
    from tensorboardX.proto.node_def_pb2 import NodeDef  # pyright: ignore[reportAttributeAccessIssue]

    attributes = {name: _value(value) for name, value in {**node.settings, **node.arrays}.items()}
    if node.weights:
        attributes["weights in all"] = _value(node.weights)
    return NodeDef(name=node.name, op=node.kind, input=node.inputs, attr=attributes)


def _value(value: bool | int | float | str) -> Any:
    from tensorboardX.proto.attr_value_pb2 import AttrValue  # pyright: ignore[reportAttributeAccessIssue]

    if isinstance(value, bool):
        return AttrValue(b=value)
    if isinstance(value, int):
        return AttrValue(i=value)
    return AttrValue(f=value) if isinstance(value, float) else AttrValue(s=value.encode())
