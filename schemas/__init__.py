"""The shapes that cross the wire. Leaf package: marshmallow, msgspec and nothing of ours."""
