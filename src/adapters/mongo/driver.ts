import { mongo } from 'mongoose';

/** Whether the driver understands the URL, all of its options and their values. Connects to nothing. */
export function takesUrl(url: string): boolean {
  try {
    new mongo.MongoClient(url);
    return true;
  } catch {
    return false;
  }
}
