// The part of dcmjs that makes and reads a file: the library comes without types.
declare module 'dcmjs' {
  interface DicomDict {
    dict: Record<string, unknown>;
    write(): ArrayBuffer;
  }

  interface Dcmjs {
    data: {
      DicomDict: new (meta: Record<string, unknown>) => DicomDict;
      DicomMessage: { readFile(bytes: ArrayBuffer): DicomDict };
      DicomMetaDictionary: {
        denaturalizeDataset(dataset: Record<string, unknown>): Record<string, unknown>;
        naturalizeDataset(dataset: Record<string, unknown>): Record<string, unknown>;
      };
    };
    log: { setLevel(level: string): void };
  }

  const dcmjs: Dcmjs;
  export default dcmjs;
}
