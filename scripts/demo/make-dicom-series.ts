// One series of CT slices as files of DICOM Part 10: a preamble, DICM, the file meta group, then the dataset.
import { randomUUID } from 'node:crypto';
import dcmjs from 'dcmjs';

const { DicomDict, DicomMessage, DicomMetaDictionary } = dcmjs.data;
const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2';
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
export const EDGE = 256;
/** Stored value = Hounsfield units + 1024. */
const INTERCEPT = -1_024;

/** UID below 2.25, the arc of UUIDs (DICOM PS3.5 B.2). */
function newUid(): string {
  return `2.25.${BigInt(`0x${randomUUID().replaceAll('-', '')}`)}`;
}

/** A water phantom in a ring of bone, which narrows from slice to slice. */
function slicePixels(slice: number): ArrayBuffer {
  const stored = new Uint16Array(EDGE * EDGE);
  for (let y = 0; y < EDGE; y++) {
    for (let x = 0; x < EDGE; x++) {
      const radius = Math.hypot(x - EDGE / 2, y - EDGE / 2) + slice * 6;
      const hounsfield = radius > 110 ? -1_000 : radius > 100 ? 900 : (x * 31 + y * 17) % 23 - 11;
      stored[y * EDGE + x] = hounsfield - INTERCEPT;
    }
  }
  return stored.buffer;
}

function writeElement(VR: string, value: string | ArrayBuffer): object {
  return { vr: VR, Value: [value] };
}

function fileMeta(instanceUid: string): Record<string, unknown> {
  return {
    '00020001': writeElement('OB', new Uint8Array([0, 1]).buffer),
    '00020002': writeElement('UI', CT_IMAGE_STORAGE),
    '00020003': writeElement('UI', instanceUid),
    '00020010': writeElement('UI', EXPLICIT_LITTLE_ENDIAN),
    '00020012': writeElement('UI', '2.25.190146791043182537444806132342625375407'),
    '00020013': writeElement('SH', 'MUNIMENT_DEMO'),
  };
}

interface SeriesUids {
  study: string;
  series: string;
  frame: string;
}

function sliceDataset(series: SeriesUids, instanceUid: string, patient: string, slice: number): Record<string, unknown> {
  return {
    SOPClassUID: CT_IMAGE_STORAGE, SOPInstanceUID: instanceUid, StudyInstanceUID: series.study, SeriesInstanceUID: series.series,
    PatientName: 'Demo^Patient', PatientID: patient, PatientBirthDate: '19700101', PatientSex: 'O',
    StudyDate: '20240506', StudyTime: '070809', StudyID: '1', AccessionNumber: '', ReferringPhysicianName: '',
    Modality: 'CT', Manufacturer: 'Muniment', SeriesNumber: '1', InstanceNumber: String(slice + 1), ImageType: ['ORIGINAL', 'PRIMARY', 'AXIAL'],
    ImagePositionPatient: ['-128', '-128', String(slice * 5)], ImageOrientationPatient: ['1', '0', '0', '0', '1', '0'],
    PixelSpacing: ['1', '1'], SliceThickness: '5', KVP: '120', AcquisitionNumber: '1', FrameOfReferenceUID: series.frame, PositionReferenceIndicator: '',
    Rows: EDGE, Columns: EDGE, SamplesPerPixel: 1, PhotometricInterpretation: 'MONOCHROME2',
    BitsAllocated: 16, BitsStored: 16, HighBit: 15, PixelRepresentation: 0, RescaleIntercept: String(INTERCEPT), RescaleSlope: '1', RescaleType: 'HU',
    PixelData: [slicePixels(slice)], _vrMap: { PixelData: 'OW' },
  };
}

export function makeDicomSeries(patient: string, slices: number): Buffer[] {
  dcmjs.log.setLevel('error');
  const series = { study: newUid(), series: newUid(), frame: newUid() };
  return Array.from({ length: slices }, (_none, slice) => {
    const instanceUid = newUid();
    const file = new DicomDict(fileMeta(instanceUid));
    file.dict = DicomMetaDictionary.denaturalizeDataset(sliceDataset(series, instanceUid, patient, slice));
    return Buffer.from(file.write());
  });
}

export interface SliceHead {
  SeriesInstanceUID: string;
  SOPInstanceUID: string;
  Rows: number;
  BitsAllocated: number;
}

/** Read back by the library, not remembered. */
export function readSlice(file: Buffer): SliceHead {
  const { buffer, byteOffset, length } = file;
  const { dict } = DicomMessage.readFile(buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer);
  return DicomMetaDictionary.naturalizeDataset(dict) as unknown as SliceHead;
}
