/* Hands blocks of sound from the microphone to the page: 16 bits, mono, at the rate of the audio context. */
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(Math.round(sampleRate / 50));
    this.filled = 0;
  }

  process(inputs) {
    const sound = inputs[0][0];
    for (let i = 0; sound && i < sound.length; i += 1) {
      this.block[this.filled] = Math.max(-1, Math.min(1, sound[i])) * 32767;
      this.filled += 1;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
