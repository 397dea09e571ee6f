"""Faces: found in images, told apart, and kept in collections. Knows nothing about jobs.

engine      an image in, its faces with their embeddings out: the door for a kind
decoder     bytes into pixels, by a child process that may die of them (child, picture)
models      the two networks, and how it is made sure that they are the ones we measured
detector    where the faces are, whichever way the picture is turned
quality     whether a face is fit to be recognised; pose
choice      which of the faces in an image is meant, or why none is
codes       why an image gave no face
collections what a tenant keeps faces in; enrolling, listing and deleting them (store, store.sql)
images      uploaded images, kept in Postgres until their item has ended
objects     the same in an S3-compatible store, where the settings name one
matrix      the nearest faces of a collection, among hundreds of thousands in milliseconds
"""
