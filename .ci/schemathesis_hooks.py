"""What schemathesis does not know by itself: bytes that are sent as they are."""
import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
