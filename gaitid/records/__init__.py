"""Every value that crosses a door of gaitid: frozen, slotted, checked on construction.

Arrays held by a record are made read-only, so a record can be shared between threads.
Time is Unix seconds (float) for live sources and seconds from the first frame for files.
"""

from gaitid.records.admin import AuditAction as AuditAction
from gaitid.records.admin import AuditEntry as AuditEntry
from gaitid.records.admin import AuditHead as AuditHead
from gaitid.records.admin import Backup as Backup
from gaitid.records.admin import ServerInfo as ServerInfo
from gaitid.records.basis import advice as advice
from gaitid.records.basis import basis as basis
from gaitid.records.basis import stated as stated
from gaitid.records.camera import DIRECTIONS as DIRECTIONS
from gaitid.records.camera import CameraProfile as CameraProfile
from gaitid.records.camera import check_direction as check_direction
from gaitid.records.camera import direction_of as direction_of
from gaitid.records.checks import check_audit_id as check_audit_id
from gaitid.records.checks import check_choice as check_choice
from gaitid.records.checks import check_name as check_name
from gaitid.records.decision import MAX_MATCHES as MAX_MATCHES
from gaitid.records.decision import Candidate as Candidate
from gaitid.records.decision import Decision as Decision
from gaitid.records.decision import Embedding as Embedding
from gaitid.records.decision import OperatingPoint as OperatingPoint
from gaitid.records.decision import Outcome as Outcome
from gaitid.records.decision import Probe as Probe
from gaitid.records.decision import Verdict as Verdict
from gaitid.records.gallery import Calibration as Calibration
from gaitid.records.gallery import CalibrationSource as CalibrationSource
from gaitid.records.gallery import Fusion as Fusion
from gaitid.records.gallery import GalleryInfo as GalleryInfo
from gaitid.records.gallery import Normalisation as Normalisation
from gaitid.records.policy import QualityPolicy as QualityPolicy
from gaitid.records.sequence import JOINTS as JOINTS
from gaitid.records.sequence import MAX_CAMERA as MAX_CAMERA
from gaitid.records.sequence import MAX_FRAMES as MAX_FRAMES
from gaitid.records.sequence import SILHOUETTE as SILHOUETTE
from gaitid.records.sequence import SILHOUETTE_GRAY as SILHOUETTE_GRAY
from gaitid.records.sequence import SILHOUETTE_SIZES as SILHOUETTE_SIZES
from gaitid.records.sequence import SKELETON as SKELETON
from gaitid.records.sequence import SKELETON_3D as SKELETON_3D
from gaitid.records.sequence import Frame as Frame
from gaitid.records.sequence import GaitSequence as GaitSequence
from gaitid.records.sequence import Observation as Observation
from gaitid.records.sequence import Origin as Origin
from gaitid.records.sequence import Quality as Quality
from gaitid.records.sequence import Reason as Reason
from gaitid.records.subject import MAX_TERM as MAX_TERM
from gaitid.records.subject import Enrolment as Enrolment
from gaitid.records.subject import EnrolmentCheck as EnrolmentCheck
from gaitid.records.subject import EnrolmentWarning as EnrolmentWarning
from gaitid.records.subject import ErasureReceipt as ErasureReceipt
from gaitid.records.subject import SubjectExport as SubjectExport
from gaitid.records.subject import SubjectInfo as SubjectInfo
from gaitid.records.subject import Suspicion as Suspicion
from gaitid.records.subject import Template as Template
from gaitid.records.subject import Terms as Terms
