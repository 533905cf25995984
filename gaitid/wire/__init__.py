"""Records <-> messages of `gaitid.v1`, errors <-> google.rpc.Status.

`pack_*` makes the message of a record, `unpack_*` the record of a message. Input is untrusted: sizes
are checked before anything is allocated, and a message that fits no record raises `MessageError` or
`SequenceError`. Server and client touch only the messages of requests and responses; everything inside
them is packed and unpacked here.
"""

from gaitid.wire.admin import pack_audit_entry as pack_audit_entry
from gaitid.wire.admin import pack_audit_head as pack_audit_head
from gaitid.wire.admin import pack_backup as pack_backup
from gaitid.wire.admin import pack_info as pack_info
from gaitid.wire.admin import unpack_audit_entry as unpack_audit_entry
from gaitid.wire.admin import unpack_audit_head as unpack_audit_head
from gaitid.wire.admin import unpack_backup as unpack_backup
from gaitid.wire.admin import unpack_info as unpack_info
from gaitid.wire.batches import BATCH_BYTES as BATCH_BYTES
from gaitid.wire.batches import BATCH_S as BATCH_S
from gaitid.wire.batches import batched as batched
from gaitid.wire.camera import pack_camera as pack_camera
from gaitid.wire.camera import unpack_camera as unpack_camera
from gaitid.wire.decision import pack_decision as pack_decision
from gaitid.wire.decision import pack_operating_point as pack_operating_point
from gaitid.wire.decision import pack_quality as pack_quality
from gaitid.wire.decision import pack_verdict as pack_verdict
from gaitid.wire.decision import unpack_decision as unpack_decision
from gaitid.wire.decision import unpack_operating_point as unpack_operating_point
from gaitid.wire.decision import unpack_quality as unpack_quality
from gaitid.wire.decision import unpack_verdict as unpack_verdict
from gaitid.wire.gallery import pack_calibration as pack_calibration
from gaitid.wire.gallery import pack_fusion as pack_fusion
from gaitid.wire.gallery import pack_gallery as pack_gallery
from gaitid.wire.gallery import pack_normalisation as pack_normalisation
from gaitid.wire.gallery import unpack_calibration as unpack_calibration
from gaitid.wire.gallery import unpack_fusion as unpack_fusion
from gaitid.wire.gallery import unpack_gallery as unpack_gallery
from gaitid.wire.gallery import unpack_normalisation as unpack_normalisation
from gaitid.wire.metadata import AUTHORIZATION as AUTHORIZATION
from gaitid.wire.metadata import BEARER as BEARER
from gaitid.wire.metadata import PURPOSE as PURPOSE
from gaitid.wire.metadata import pack_purpose as pack_purpose
from gaitid.wire.metadata import unpack_purpose as unpack_purpose
from gaitid.wire.sequence import MAX_MESSAGE_BYTES as MAX_MESSAGE_BYTES
from gaitid.wire.sequence import pack_embedding as pack_embedding
from gaitid.wire.sequence import pack_probe as pack_probe
from gaitid.wire.sequence import pack_sequence as pack_sequence
from gaitid.wire.sequence import unpack_embedding as unpack_embedding
from gaitid.wire.sequence import unpack_probe as unpack_probe
from gaitid.wire.sequence import unpack_samples as unpack_samples
from gaitid.wire.sequence import unpack_sequence as unpack_sequence
from gaitid.wire.status import MAX_TEXT as MAX_TEXT
from gaitid.wire.status import RETRY_AFTER_S as RETRY_AFTER_S
from gaitid.wire.status import pack_error as pack_error
from gaitid.wire.status import unpack_error as unpack_error
from gaitid.wire.strings import check_strings as check_strings
from gaitid.wire.subject import pack_check as pack_check
from gaitid.wire.subject import pack_enrolment as pack_enrolment
from gaitid.wire.subject import pack_export as pack_export
from gaitid.wire.subject import pack_receipt as pack_receipt
from gaitid.wire.subject import pack_subject as pack_subject
from gaitid.wire.subject import pack_terms as pack_terms
from gaitid.wire.subject import unpack_check as unpack_check
from gaitid.wire.subject import unpack_enrolment as unpack_enrolment
from gaitid.wire.subject import unpack_export as unpack_export
from gaitid.wire.subject import unpack_receipt as unpack_receipt
from gaitid.wire.subject import unpack_subject as unpack_subject
from gaitid.wire.subject import unpack_terms as unpack_terms
